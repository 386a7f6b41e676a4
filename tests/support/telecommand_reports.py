"""Reports of telecommands as the control system writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

STATES = {"ReleaseState": "PASSED", "OnBoardState": "PASSED", "ExecCompState": "PASSED"}
LEAST_STATES = {"ReleaseState": "PASSED", "OnBoardState": "PENDING", "ExecCompState": "UNKNOWN"}


def parameter(name: str, value: str, **fields: str) -> str:
    """One parameter of a command."""
    texts = {"ParameterName": name, "Radix": "Dec", "ParamRep": "Raw", "ParamValue": value} | fields
    return _element(
        "PktTcReportParameterListElement", "".join(_element(k, escape(v)) for k, v in texts.items())
    )


def element(count: int = 7, *, parameters: Iterable[str] = (), **fields: Any) -> str:
    """One command; fields of the report replace what is there by default, None leaves one out."""
    unique_id = fields.pop("unique_id", f"SSTX{count:05d}")
    texts = {
        "CommandName": "ZIX38001",
        "Description": "Select data",
        "SequenceName": "",
        "ReleaseTime": f"2022-03-01T{count // 3600 % 24:02d}:{count // 60 % 60:02d}:{count % 60:02d}.250000Z",
        "UplinkTime": "1970-01-01T00:00:00.000000Z",
        "ExecutionTime": "1970-01-01T00:00:00.000000Z",
        "PUSServiceType": "238",
        "PUSSubServiceType": "1",
        "Apid": "1452",
        "SSC": str(count),
        "DynamicPtvCheckState": "CHECK_ENABLED",
    }
    states = fields.pop("states", STATES)
    texts |= states | fields
    body = "".join(_element(k, escape(v)) for k, v in texts.items() if v is not None)
    if unique_id:
        custom = {"FieldName": "uniqueID", "FieldType": "String", "Value": unique_id}
        body += _element("CustomField", "".join(_element(k, v) for k, v in custom.items()))
    return _element(
        "PktTcReportListElement", body + _element("PktTcReportParameterList", "".join(parameters))
    )


def report(*elements: str, encoding: str = "UTF-8") -> bytes:
    """A whole file."""
    text = (
        f'<?xml version="1.0" encoding="{encoding}" standalone="yes"?>\n'
        '<ns2:ResponsePart xmlns:ns2="http://edds.egos.esa/model">\n<Response><PktTcReportResponse>'
        f"<PktTcReportList>\n{chr(10).join(elements)}\n</PktTcReportList></PktTcReportResponse></Response>\n"
        "</ns2:ResponsePart>\n"
    )
    return text.encode(encoding)


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"
