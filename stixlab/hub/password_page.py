"""The page on which a member of the team changes the password."""

from __future__ import annotations

from jupyterhub.handlers import BaseHandler
from tornado.web import authenticated

__all__ = ["PasswordPage"]


class PasswordPage(BaseHandler):  # type: ignore[misc]  # jupyterhub has no types
    """Asks for the present password and the new one; the form carries the hub's token against forgery."""

    @authenticated  # type: ignore[untyped-decorator,unused-ignore]
    async def get(self) -> None:
        """Show the form."""
        await self._show("", good=False)

    @authenticated  # type: ignore[untyped-decorator,unused-ignore]
    async def post(self) -> None:
        """Change the password."""
        old, new, again = (self.get_body_argument(n, "", strip=False) for n in ("old", "new", "again"))
        name = self.current_user.name
        if new != again:
            await self._show("The two new passwords differ.", good=False)
            return
        problem = await self.authenticator.change_password(name, old, new, self.request.remote_ip)
        await self._show(problem or "The password was changed.", good=not problem)

    async def _show(self, message: str, *, good: bool) -> None:
        self.finish(await self.render_template("password.html", message=message, good=good))
