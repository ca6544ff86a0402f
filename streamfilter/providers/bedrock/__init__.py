"""Amazon Bedrock: the Converse stream, which is the same for all models; `invoke` has the models' own formats."""

from streamfilter.providers.bedrock import invoke
from streamfilter.providers.bedrock.converse import (
    FORMAT,
    OPAQUE,
    Decode,
    Encode,
    Wrap,
    afilter_request,
    afilter_response,
    filter_request,
    filter_response,
    wrap,
)

__all__ = [
    "FORMAT",
    "OPAQUE",
    "Decode",
    "Encode",
    "Wrap",
    "afilter_request",
    "afilter_response",
    "filter_request",
    "filter_response",
    "invoke",
    "wrap",
]
