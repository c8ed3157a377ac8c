"""The data structure of the SDMX files as an SDMX-ML 2.1 structure message, which readers of SDMX-CSV 2.0 need.

It has dataflow, data structure definition, concepts and the code lists of cropmap, with a name in each language of an
agency. Regions are a list where they are known, and text in the structure of a file: their list is that of the NUTS
regulation. (SDMX 2.1 Technical Specifications, section 3A, schemas SDMXStructure*.xsd.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from xml.etree import ElementTree as Xml

from cropmap.dissemination.long_form import ATTRIBUTES, DIMENSIONS
from cropmap.dissemination.names import CONCEPT, CONCEPTS, ENGLISH_ONLY, REGIONS, TABLE, Names, code_lists
from cropmap.errors import InputError

DATAFLOW_ID: Final = re.compile(r"(?P<agency>[A-Za-z][\w.-]*):(?P<id>[\w@$-]+)\((?P<version>\d+(\.\d+)*)\)")
NAMESPACE: Final = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/"
MESSAGE, STRUCTURE, COMMON = (f"{{{NAMESPACE}{name}}}" for name in ("message", "structure", "common"))
LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
TIME: Final = "TIME_PERIOD"
MEASURE: Final = "OBS_VALUE"
NUMBERS: Final = (MEASURE, "STD_ERR", "CI95_LOW", "CI95_HIGH", "CV")
LISTS: Final = {
    "freq": "CL_FREQ",
    "crops": "CL_CROPS",
    "strucpro": "CL_STRUCPRO",
    "CONF_STATUS": "CL_CONF_STATUS",
    "BASIS": "CL_BASIS",
    REGIONS: "CL_GEO",
}
"""concept -> its list"""
SCHEME: Final = "CS_CROP_AREA"
DATA_STRUCTURE: Final = ("DataStructure", "datastructure")
"""class and package"""
Artefact = Literal["dataflow", "codelist", "conceptscheme", "datastructure"]
"""kinds of artefacts, as SDMX REST names them"""
CONTAINERS: Final[Mapping[Artefact, str]] = {
    "dataflow": "Dataflows",
    "codelist": "Codelists",
    "conceptscheme": "Concepts",
    "datastructure": "DataStructures",
}
"""where a message has them, in its order"""
ARTEFACTS: Final = tuple(CONTAINERS)


def dataflow_parts(dataflow: str) -> re.Match[str]:
    """Agency, id and version of `agency:id(version)`. Raises InputError for another form."""
    named = DATAFLOW_ID.fullmatch(dataflow)
    if named is None:
        raise InputError(f"{dataflow!r} is no dataflow", where="--dataflow", mend="Write AGENCY:ID(1.0)")
    return named


def write(
    *,
    dataflow: str | Sequence[str],
    label: str,
    prepared_at: datetime,
    artefacts: Collection[Artefact] = ARTEFACTS,
    only_list: str | None = None,
    names: Mapping[str, Names] | None = None,
) -> bytes:
    """The structure message for files that name `dataflow` (agency:id(version)), or for several dataflows.

    `artefacts` names the kinds that it is to hold, `only_list` the one code list of them; `names` those of a dataflow,
    by what it is called. Raises InputError for a dataflow of another form.
    """
    called = [dataflow] if isinstance(dataflow, str) else dataflow
    parts = [dataflow_parts(flow) for flow in called]
    flows = [
        _Flow(
            part["id"],
            label,
            {"agencyID": part["agency"], "version": part["version"], "isFinal": "true"},
            (names or {}).get(flow, ENGLISH_ONLY),
        )
        for flow, part in zip(called, parts, strict=True)
    ]
    for prefix, name in (("mes", "message"), ("str", "structure"), ("com", "common")):
        Xml.register_namespace(prefix, NAMESPACE + name)
    root = Xml.Element(f"{MESSAGE}Structure")
    header = Xml.SubElement(root, f"{MESSAGE}Header")
    about = (("ID", parts[0]["id"]), ("Test", "false"), ("Prepared", prepared_at.isoformat(timespec="seconds")))
    for name, text in about:
        Xml.SubElement(header, f"{MESSAGE}{name}").text = text
    Xml.SubElement(header, f"{MESSAGE}Sender", id=parts[0]["agency"])
    structures = Xml.SubElement(root, f"{MESSAGE}Structures")
    for artefact in ARTEFACTS:
        if artefact in artefacts:
            container = Xml.SubElement(structures, f"{STRUCTURE}{CONTAINERS[artefact]}")
            for flow in flows:
                flow.write(container, artefact, only_list=only_list)
    Xml.indent(root)
    document: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


@dataclass(frozen=True)
class _Flow:
    """A dataflow with its structure, its concepts and its lists."""

    name: str
    label: str
    kept: Mapping[str, str]
    """attributes of what an agency maintains"""
    names: Names

    def write(self, parent: Xml.Element, artefact: Artefact, *, only_list: str | None) -> None:
        if artefact == "dataflow":
            flow = self._itself(parent, "Dataflow", self.name)
            _reference(Xml.SubElement(flow, f"{STRUCTURE}Structure"), self.name, *DATA_STRUCTURE, self.kept)
        elif artefact == "codelist":
            self._lists(parent, only_list)
        elif artefact == "conceptscheme":
            scheme = self._itself(parent, "ConceptScheme", SCHEME)
            for concept in (*DIMENSIONS, MEASURE, *_attributes()):
                _named(scheme, "Concept", concept, self._concept(concept), {})
        else:
            _components(self._itself(parent, "DataStructure", self.name), self.kept, self._has_list)

    def _itself(self, parent: Xml.Element, kind: str, name: str) -> Xml.Element:
        return _named(parent, kind, name, self.names.every(CONCEPT, TABLE, self.label), self.kept)

    def _lists(self, parent: Xml.Element, only_list: str | None) -> None:
        regions = {code: code for code in self.names.regions}
        for concept, codes in {**code_lists(), REGIONS: regions}.items():
            if self._has_list(concept) and only_list in (None, LISTS[concept]):
                code_list = _named(parent, "Codelist", LISTS[concept], self._concept(concept), self.kept)
                for code, english in codes.items():
                    _named(code_list, "Code", code, self.names.every(concept, code, english), {})

    def _concept(self, concept: str) -> dict[str, str]:
        return self.names.every(CONCEPT, concept, CONCEPTS.get(concept, concept))

    def _has_list(self, concept: str) -> bool:
        return concept in LISTS and (concept != REGIONS or bool(self.names.regions))


def _attributes() -> tuple[str, ...]:
    return ("OBS_FLAG", "CONF_STATUS", *ATTRIBUTES)


def _components(structure: Xml.Element, kept: Mapping[str, str], has_list: Callable[[str], bool]) -> None:
    """Dimensions in the order of the columns; every attribute belongs to the observation."""
    components = Xml.SubElement(structure, f"{STRUCTURE}DataStructureComponents")
    dimensions = Xml.SubElement(components, f"{STRUCTURE}DimensionList", id="DimensionDescriptor")
    for place, concept in enumerate(DIMENSIONS, start=1):
        kind = "TimeDimension" if concept == TIME else "Dimension"
        component = Xml.SubElement(dimensions, f"{STRUCTURE}{kind}", id=concept, position=str(place))
        _component(component, concept, kept, has_list)
    attributes = Xml.SubElement(components, f"{STRUCTURE}AttributeList", id="AttributeDescriptor")
    for concept in _attributes():
        component = Xml.SubElement(attributes, f"{STRUCTURE}Attribute", id=concept, assignmentStatus="Conditional")
        _component(component, concept, kept, has_list)
        relation = Xml.SubElement(component, f"{STRUCTURE}AttributeRelationship")
        Xml.SubElement(Xml.SubElement(relation, f"{STRUCTURE}PrimaryMeasure"), "Ref", id=MEASURE)
    measures = Xml.SubElement(components, f"{STRUCTURE}MeasureList", id="MeasureDescriptor")
    _component(Xml.SubElement(measures, f"{STRUCTURE}PrimaryMeasure", id=MEASURE), MEASURE, kept, has_list)


def _component(component: Xml.Element, concept: str, kept: Mapping[str, str], has_list: Callable[[str], bool]) -> None:
    """What the component means, and which values it takes."""
    identity = Xml.SubElement(component, f"{STRUCTURE}ConceptIdentity")
    where = {"maintainableParentID": SCHEME, "maintainableParentVersion": kept["version"], "package": "conceptscheme"}
    Xml.SubElement(identity, "Ref", {"id": concept, "agencyID": kept["agencyID"], "class": "Concept", **where})
    values = Xml.SubElement(component, f"{STRUCTURE}LocalRepresentation")
    if has_list(concept):
        _reference(Xml.SubElement(values, f"{STRUCTURE}Enumeration"), LISTS[concept], "Codelist", "codelist", kept)
    else:
        kind = "ObservationalTimePeriod" if concept == TIME else "Double" if concept in NUMBERS else "String"
        Xml.SubElement(values, f"{STRUCTURE}TextFormat", textType=kind)


def _named(
    parent: Xml.Element, kind: str, identifier: str, names: Mapping[str, str], kept: Mapping[str, str]
) -> Xml.Element:
    """`names`: language -> name"""
    element = Xml.SubElement(parent, f"{STRUCTURE}{kind}", {"id": identifier, **kept})
    for language, name in names.items():
        Xml.SubElement(element, f"{COMMON}Name", {LANGUAGE: language}).text = name
    return element


def _reference(parent: Xml.Element, name: str, kind: str, package: str, kept: Mapping[str, str]) -> None:
    about = {"id": name, "agencyID": kept["agencyID"], "version": kept["version"], "class": kind, "package": package}
    Xml.SubElement(parent, "Ref", about)
