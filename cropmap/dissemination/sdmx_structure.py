"""The data structure of the SDMX files as an SDMX-ML 2.1 structure message, which readers of SDMX-CSV 2.0 need.

It has dataflow, data structure definition, concepts and the code lists of cropmap. Regions are text: their list is that
of the NUTS regulation. (SDMX 2.1 Technical Specifications, section 3A, schemas SDMXStructure*.xsd.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal
from xml.etree import ElementTree as Xml

from cropmap.dissemination import vocabulary
from cropmap.dissemination.long_form import ATTRIBUTES, DIMENSIONS
from cropmap.errors import InputError
from cropmap.schemas import BASIS_MEANING

DATAFLOW_ID: Final = re.compile(r"(?P<agency>[A-Za-z][\w.-]*):(?P<id>[\w@$-]+)\((?P<version>\d+(\.\d+)*)\)")
NAMESPACE: Final = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/"
MESSAGE, STRUCTURE, COMMON = (f"{{{NAMESPACE}{name}}}" for name in ("message", "structure", "common"))
LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
TIME: Final = "TIME_PERIOD"
MEASURE: Final = "OBS_VALUE"
FREQUENCY: Final = {"A": "Annual"}
CONCEPTS: Final = {
    "freq": "Time frequency",
    "crops": "Crop",
    "strucpro": "Structure of production: the measure",
    "geo": "NUTS region",
    TIME: "Campaign year",
    MEASURE: "Estimated area in 1000 ha",
    "OBS_FLAG": "Observation status",
    "CONF_STATUS": "Confidentiality status",
    "UNIT_MEASURE": "Unit of measure",
    "CONCEPT": "Area concept of Regulation (EU) 2022/2379",
    "BASIS": "How the area came about",
    "STD_ERR": "Standard error in 1000 ha",
    "CI95_LOW": "Lower end of the 95 % interval in 1000 ha",
    "CI95_HIGH": "Upper end of the 95 % interval in 1000 ha",
    "CV": "Coefficient of variation, a share of the value",
    "COMMENT_OBS": "Says where a figure is simulated",
}
NUMBERS: Final = (MEASURE, "STD_ERR", "CI95_LOW", "CI95_HIGH", "CV")
LISTS: Final = {
    "freq": "CL_FREQ",
    "crops": "CL_CROPS",
    "strucpro": "CL_STRUCPRO",
    "CONF_STATUS": "CL_CONF_STATUS",
    "BASIS": "CL_BASIS",
}
SCHEME: Final = "CS_CROP_AREA"
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
) -> bytes:
    """The structure message for files that name `dataflow` (agency:id(version)), or for several dataflows.

    `artefacts` names the kinds that it is to hold, `only_list` the one code list of them. Raises InputError for a
    dataflow of another form.
    """
    flows = [dataflow_parts(flow) for flow in ([dataflow] if isinstance(dataflow, str) else dataflow)]
    for prefix, name in (("mes", "message"), ("str", "structure"), ("com", "common")):
        Xml.register_namespace(prefix, NAMESPACE + name)
    root = Xml.Element(f"{MESSAGE}Structure")
    header = Xml.SubElement(root, f"{MESSAGE}Header")
    about = (("ID", flows[0]["id"]), ("Test", "false"), ("Prepared", prepared_at.isoformat(timespec="seconds")))
    for name, text in about:
        Xml.SubElement(header, f"{MESSAGE}{name}").text = text
    Xml.SubElement(header, f"{MESSAGE}Sender", id=flows[0]["agency"])
    parts = Xml.SubElement(root, f"{MESSAGE}Structures")
    for artefact in ARTEFACTS:
        if artefact in artefacts:
            container = Xml.SubElement(parts, f"{STRUCTURE}{CONTAINERS[artefact]}")
            for flow in flows:
                kept = {"agencyID": flow["agency"], "version": flow["version"], "isFinal": "true"}
                _artefact(container, artefact, flow["id"], label, kept, only_list=only_list)
    Xml.indent(root)
    document: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _artefact(
    parent: Xml.Element, artefact: Artefact, name: str, label: str, kept: Mapping[str, str], *, only_list: str | None
) -> None:
    if artefact == "dataflow":
        flow = _named(parent, "Dataflow", name, label, kept)
        _reference(Xml.SubElement(flow, f"{STRUCTURE}Structure"), name, "DataStructure", "datastructure", kept)
    elif artefact == "codelist":
        for concept, codes in code_lists().items():
            if only_list in (None, LISTS[concept]):
                code_list = _named(parent, "Codelist", LISTS[concept], CONCEPTS[concept], kept)
                for code, meaning in codes.items():
                    _named(code_list, "Code", code, meaning, {})
    elif artefact == "conceptscheme":
        scheme = _named(parent, "ConceptScheme", SCHEME, label, kept)
        for concept in (*DIMENSIONS, MEASURE, *_attributes()):
            _named(scheme, "Concept", concept, CONCEPTS.get(concept, concept), {})
    else:
        _structure(parent, name, label, kept)


def _attributes() -> tuple[str, ...]:
    return ("OBS_FLAG", "CONF_STATUS", *ATTRIBUTES)


def code_lists() -> dict[str, Mapping[str, str]]:
    measures = {measure.code: measure.label for measure in vocabulary.measures().values()}
    statuses = {code: text for code, text in vocabulary.flag_meanings().items() if code in vocabulary.CONF_STATUSES}
    bases = {str(basis): text for basis, text in BASIS_MEANING.items()}
    return {
        "freq": FREQUENCY,
        "crops": vocabulary.crop_items(),
        "strucpro": measures,
        "CONF_STATUS": statuses,
        "BASIS": bases,
    }


def _structure(parent: Xml.Element, name: str, label: str, kept: Mapping[str, str]) -> None:
    """Dimensions in the order of the columns; every attribute belongs to the observation."""
    components = Xml.SubElement(
        _named(parent, "DataStructure", name, label, kept), f"{STRUCTURE}DataStructureComponents"
    )
    dimensions = Xml.SubElement(components, f"{STRUCTURE}DimensionList", id="DimensionDescriptor")
    for place, concept in enumerate(DIMENSIONS, start=1):
        kind = "TimeDimension" if concept == TIME else "Dimension"
        component = Xml.SubElement(dimensions, f"{STRUCTURE}{kind}", id=concept, position=str(place))
        _component(component, concept, kept)
    attributes = Xml.SubElement(components, f"{STRUCTURE}AttributeList", id="AttributeDescriptor")
    for concept in _attributes():
        component = Xml.SubElement(attributes, f"{STRUCTURE}Attribute", id=concept, assignmentStatus="Conditional")
        _component(component, concept, kept)
        relation = Xml.SubElement(component, f"{STRUCTURE}AttributeRelationship")
        Xml.SubElement(Xml.SubElement(relation, f"{STRUCTURE}PrimaryMeasure"), "Ref", id=MEASURE)
    measures = Xml.SubElement(components, f"{STRUCTURE}MeasureList", id="MeasureDescriptor")
    _component(Xml.SubElement(measures, f"{STRUCTURE}PrimaryMeasure", id=MEASURE), MEASURE, kept)


def _component(component: Xml.Element, concept: str, kept: Mapping[str, str]) -> None:
    """What the component means, and which values it takes."""
    identity = Xml.SubElement(component, f"{STRUCTURE}ConceptIdentity")
    where = {"maintainableParentID": SCHEME, "maintainableParentVersion": kept["version"], "package": "conceptscheme"}
    Xml.SubElement(identity, "Ref", {"id": concept, "agencyID": kept["agencyID"], "class": "Concept", **where})
    values = Xml.SubElement(component, f"{STRUCTURE}LocalRepresentation")
    if concept in LISTS:
        _reference(Xml.SubElement(values, f"{STRUCTURE}Enumeration"), LISTS[concept], "Codelist", "codelist", kept)
    else:
        kind = "ObservationalTimePeriod" if concept == TIME else "Double" if concept in NUMBERS else "String"
        Xml.SubElement(values, f"{STRUCTURE}TextFormat", textType=kind)


def _named(parent: Xml.Element, kind: str, name: str, label: str, kept: Mapping[str, str]) -> Xml.Element:
    element = Xml.SubElement(parent, f"{STRUCTURE}{kind}", {"id": name, **kept})
    Xml.SubElement(element, f"{COMMON}Name", {LANGUAGE: "en"}).text = label
    return element


def _reference(parent: Xml.Element, name: str, kind: str, package: str, kept: Mapping[str, str]) -> None:
    about = {"id": name, "agencyID": kept["agencyID"], "version": kept["version"], "class": kind, "package": package}
    Xml.SubElement(parent, "Ref", about)
