"""The inline store under the name that tests of actors know it by."""

from livespot.store.inline import InlineDatabase as InlineDatabase
from livespot.store.inline import InlineReader as InlineReader
