"""Names by which runner and notebook find each other; nothing heavy is imported for them."""

__all__ = ["REQUEST_NAME", "RUN_FOLDER_VARIABLE"]

RUN_FOLDER_VARIABLE = "STIXLAB_RUN_FOLDER"
"""Environment variable by which the runner tells the notebook where its request is and its results go."""
REQUEST_NAME = "request.json"
"""File in that folder with what was asked for."""
