"""GET /sdmx/2.1/{artefact}/…, GET /sdmx/3.0/structure/…: dataflows with their structures and code lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from cropmap.dissemination.names import LABEL
from cropmap.dissemination.sdmx_structure import ARTEFACTS, LISTS, SCHEME, Artefact, write
from serving.access import OpenConnection, Reader
from serving.dataflows import ANY, FLOW, find_dataflows, names_of
from serving.errors import NotFoundError
from serving.languages import said_in
from serving.media_types import STRUCTURES, Accept, MediaType, answers, chosen
from serving.names import SdmxAgencyPath, SdmxIdPath, SdmxVersionPath

router = APIRouter(tags=["sdmx"])

References = Literal[
    "none", "parents", "parentsandsiblings", "ancestors", "children", "descendants", "all",
    "dataflow", "datastructure", "conceptscheme", "codelist",
]  # fmt: skip
CHILDREN: Final[dict[Artefact, frozenset[Artefact]]] = {
    "dataflow": frozenset(("datastructure",)),
    "datastructure": frozenset(("conceptscheme", "codelist")),
    "conceptscheme": frozenset(),
    "codelist": frozenset(),
}
DESCENDANTS: Final[dict[Artefact, frozenset[Artefact]]] = CHILDREN | {
    "dataflow": frozenset(("datastructure", "conceptscheme", "codelist"))
}
STRUCTURE: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": answers(STRUCTURES, "there is no such artefact"),
}


@dataclass(frozen=True)
class StructureQuery:
    """What a request for artefacts asks for beside their names."""

    references: References
    media_type: MediaType


async def structure_query(
    accept: Accept = "*/*",
    references: Annotated[References, Query(description="which artefacts around it are answered too")] = "none",
    _detail: Annotated[Literal["full"], Query(alias="detail", description="artefacts are answered whole")] = "full",
) -> StructureQuery:
    return StructureQuery(references, chosen(accept, STRUCTURES))


QueryStructure = Annotated[StructureQuery, Depends(structure_query)]
KindPath = Annotated[str, Path(description="dataflow, datastructure, conceptscheme or codelist", max_length=200)]


@router.get("/sdmx/2.1/{artefact}", **STRUCTURE)
def sdmx_structures(reader: Reader, query: QueryStructure, artefact: KindPath) -> Response:
    """Every artefact of a kind."""
    return _structure(reader, query, artefact)


@router.get("/sdmx/2.1/{artefact}/{agency}", **STRUCTURE)
def sdmx_structures_of_agency(
    reader: Reader, query: QueryStructure, artefact: KindPath, agency: SdmxAgencyPath
) -> Response:
    """Every artefact of a kind that an agency has."""
    return _structure(reader, query, artefact, agency)


@router.get("/sdmx/2.1/{artefact}/{agency}/{resource_id}", **STRUCTURE)
def sdmx_structure_of_any_version(
    reader: Reader, query: QueryStructure, artefact: KindPath, agency: SdmxAgencyPath, resource_id: SdmxIdPath
) -> Response:
    """The latest version of an artefact."""
    return _structure(reader, query, artefact, agency, resource_id)


@router.get("/sdmx/2.1/{artefact}/{agency}/{resource_id}/{version}", **STRUCTURE)
def sdmx_structure(
    reader: Reader,
    query: QueryStructure,
    artefact: KindPath,
    agency: SdmxAgencyPath,
    resource_id: SdmxIdPath,
    version: SdmxVersionPath,
) -> Response:
    """A dataflow, data structure, concept scheme or code list, and what it refers to, as SDMX-ML 2.1.

    Names are in English and in every language of the agency.
    """
    return _structure(reader, query, artefact, agency, resource_id, version)


@router.get("/sdmx/3.0/structure/{artefact}", **STRUCTURE)
def sdmx_3_structures(reader: Reader, query: QueryStructure, artefact: KindPath) -> Response:
    """Every artefact of a kind."""
    return _structure(reader, query, artefact)


@router.get("/sdmx/3.0/structure/{artefact}/{agency}", **STRUCTURE)
def sdmx_3_structures_of_agency(
    reader: Reader, query: QueryStructure, artefact: KindPath, agency: SdmxAgencyPath
) -> Response:
    """Every artefact of a kind that an agency has."""
    return _structure(reader, query, artefact, agency)


@router.get("/sdmx/3.0/structure/{artefact}/{agency}/{resource_id}", **STRUCTURE)
def sdmx_3_structure_of_any_version(
    reader: Reader, query: QueryStructure, artefact: KindPath, agency: SdmxAgencyPath, resource_id: SdmxIdPath
) -> Response:
    """Every version of an artefact."""
    return _structure(reader, query, artefact, agency, resource_id)


@router.get("/sdmx/3.0/structure/{artefact}/{agency}/{resource_id}/{version}", **STRUCTURE)
def sdmx_3_structure(
    reader: Reader,
    query: QueryStructure,
    artefact: KindPath,
    agency: SdmxAgencyPath,
    resource_id: SdmxIdPath,
    version: SdmxVersionPath,
) -> Response:
    """A dataflow, data structure, concept scheme or code list, and what it refers to, as SDMX-ML 2.1."""
    return _structure(reader, query, artefact, agency, resource_id, version)


def _structure(
    reader: OpenConnection,
    query: StructureQuery,
    kind: str,
    agency: str = "*",
    resource_id: str = "*",
    version: str = "*",
) -> Response:
    artefact = next((known for known in ARTEFACTS if known == kind), None)
    if artefact is None:
        raise NotFoundError("there are no artefacts of this kind", where=kind, mend=f"Known: {', '.join(ARTEFACTS)}")
    with reader() as connection:
        dataflows = find_dataflows(connection, agency=agency, version=version)
        names = {dataflow.name: names_of(connection, dataflow, regions=True) for dataflow in dataflows}
    known_ids = {"conceptscheme": (SCHEME,), "codelist": tuple(LISTS.values())}.get(artefact, (FLOW,))
    if resource_id not in (*ANY, *known_ids):
        where, mend = f"{agency}:{resource_id}({version})", f"Known: {', '.join(known_ids)}"
        raise NotFoundError(f"there is no such {artefact}", where=where, mend=mend)
    artefacts = _around(artefact, query.references)
    alone = artefact == "codelist" and resource_id not in ANY and query.references not in ("parentsandsiblings", "all")
    document = write(
        dataflow=[dataflow.name for dataflow in dataflows],
        label=LABEL,
        prepared_at=max(release.released_at for dataflow in dataflows for release in dataflow.releases),
        artefacts=artefacts,
        only_list=resource_id if alone else None,
        names=names,
    )
    languages = dict.fromkeys(language for known in names.values() for language in known.languages)
    return said_in(Response(document, media_type=str(query.media_type)), *languages)


def _around(artefact: Artefact, references: References) -> frozenset[Artefact]:
    """The kinds that are answered: the one asked for, and those that `references` adds to it."""
    parents = frozenset(kind for kind in ARTEFACTS if artefact in CHILDREN[kind])
    ancestors = frozenset(kind for kind in ARTEFACTS if artefact in DESCENDANTS[kind])
    siblings = frozenset(child for parent in parents for child in CHILDREN[parent])
    added: dict[str, frozenset[Artefact]] = {
        "none": frozenset(),
        "parents": parents,
        "parentsandsiblings": parents | siblings,
        "ancestors": ancestors,
        "children": CHILDREN[artefact],
        "descendants": DESCENDANTS[artefact],
        "all": parents | siblings | DESCENDANTS[artefact],
    }
    one: frozenset[Artefact] = frozenset(kind for kind in ARTEFACTS if kind == references)
    return frozenset((artefact,)) | added.get(references, one)
