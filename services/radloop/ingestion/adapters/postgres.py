"""Where ingestion keeps charts: whatever an input's keys lead to is loaded, locked, and kept again."""

from typing import Any

from psycopg import Cursor
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from radloop.events.common import Identity
from radloop.ingestion.domain import keys as naming
from radloop.ingestion.domain.chart import Chart
from radloop.ingestion.domain.files import CaseFile, Heard, ObjectFile, OrderFile, StudyFile
from radloop.ingestion.domain.people import Merge
from radloop.kit.codec import adapter, decode, encode
from radloop.kit.store import Store
from radloop.kit.tables import Repository, Table

ORDERS = Table(OrderFile, "order_request", "order_id")
STUDIES = Table(StudyFile, "imaging_study", "study_uid")
OBJECTS = Table(ObjectFile, "dicom_object", "sop_instance_uid")

_FOUND = SQL(
    "where keys && %(keys)s or case_id = any(%(cases)s)"
    " or case_id in (select case_id from order_request where keys && %(keys)s)"
    " or case_id in (select case_id from imaging_study where keys && %(keys)s) order by {} for update",
)


class Charts:
    """The chart of an input's keys: rows that share a key with it, and the rest of their cases.

    A patient's key alone leads nowhere but to a lock: only a message about the patient (`whole:`) wants all of theirs.
    Rows are locked as they are read, in one order, so that two inputs without a common key never see half a change.
    """

    def load(self, cursor: Cursor[Any], keys: tuple[str, ...]) -> Chart:
        """Return the chart; there always is one, be it empty."""
        asked = [key for key in keys if not key.startswith(("patient:", "object:", "message:", "case:", "whole:"))]
        asked += ["patient:" + key.partition(":")[2] for key in naming.with_prefix(keys, "whole")]
        merges = self._merges(cursor, naming.with_prefix(keys, "patient"))
        if naming.with_prefix(keys, "whole"):
            asked += [naming.of_patient(one) for merge in merges for one in (merge.retired, *merge.survivors)]
        wanted = {"keys": asked, "cases": [key.partition(":")[2] for key in naming.with_prefix(keys, "case")]}
        orders: list[OrderFile] = self._rows(cursor, OrderFile, "order_request", "order_id", wanted)
        studies: list[StudyFile] = self._rows(cursor, StudyFile, "imaging_study", "study_uid", wanted)
        return Chart(
            salt=self._salt(cursor), orders=tuple(orders), studies=tuple(studies), merges=merges,
            cases=self._cases(cursor, {one.case_id for one in orders} | {one.case_id for one in studies}),
            objects=self._objects(cursor, keys), heard=self._heard(cursor, naming.with_prefix(keys, "message")),
        )

    def save(self, cursor: Cursor[Any], keys: tuple[str, ...], state: Chart) -> None:
        """Keep the chart's rows, and the unique columns that lead from study and accession number to the case."""
        for order in state.orders:
            ORDERS.save(cursor, keys, order)
            cursor.execute("update order_request set keys = %s where order_id = %s", (_keys_of_order(order), order.order_id))
        for study in state.studies:
            STUDIES.save(cursor, keys, study)
            cursor.execute("update imaging_study set keys = %s where study_uid = %s", (_keys_of_study(study), study.study_uid))
        for added in state.added:
            OBJECTS.save(cursor, keys, added)
        for merge in state.merges:
            self._keep_merge(cursor, merge)
        for heard in state.heard:
            cursor.execute(
                "insert into message_heard (control, digest, flagged, at) values (%s, %s, %s, %s) on conflict do nothing",
                (heard.control, heard.digest, heard.flagged, heard.at),
            )
        self._keep_cases(cursor, state)

    def _rows(self, cursor: Cursor[Any], kind: type, table: str, key: str, wanted: dict[str, list[str]]) -> list[Any]:
        names = list(Table(kind, table, key).columns)
        query = SQL("select {} from {} ").format(SQL(", ").join(map(Identifier, names)), Identifier(table))
        with cursor.connection.cursor(row_factory=dict_row) as rows:
            found = rows.execute(query + _FOUND.format(Identifier(key)), wanted).fetchall()
        return list(adapter(kind).validate_python(found))

    def _objects(self, cursor: Cursor[Any], keys: tuple[str, ...]) -> tuple[ObjectFile, ...]:
        """The object of that UID where one is meant; all of a study's where nothing but the study is."""
        objects = naming.with_prefix(keys, "object")
        if objects:
            clause, values = SQL("where object_key = any(%s)"), objects
        elif len(keys) == 1 and keys[0].startswith("study:"):
            clause = SQL("where study_uid in (select study_uid from imaging_study where keys && %s)")
            values = list(keys)
        else:
            return ()
        return tuple(OBJECTS.select(cursor, clause, (values,)))

    def _merges(self, cursor: Cursor[Any], patients: list[str]) -> tuple[Merge, ...]:
        if not patients:
            return ()
        rows = cursor.execute(
            "select retired, survivors from patient_merge where retired_key = any(%s) or survivor_keys && %s"
            " order by retired_key for update",
            (patients, patients),
        )
        return tuple(
            Merge(retired=decode(Identity, encode(retired)), survivors=decode(tuple[Identity, ...], encode(survivors)))
            for retired, survivors in rows
        )

    def _cases(self, cursor: Cursor[Any], case_ids: set[str]) -> tuple[CaseFile, ...]:
        if not case_ids:
            return ()
        rows = cursor.execute(
            "select case_id, site, order_revision, signed_at from case_file where case_id = any(%s) order by case_id for update",
            (sorted(case_ids),),
        )
        return tuple(CaseFile(case_id=row[0], site=row[1], order_revision=row[2], signed_at=row[3]) for row in rows)

    def _heard(self, cursor: Cursor[Any], controls: list[str]) -> tuple[Heard, ...]:
        if not controls:
            return ()
        rows = cursor.execute("select control, digest, flagged, at from message_heard where control = any(%s)", (controls,))
        return tuple(Heard(control=row[0], digest=row[1], flagged=row[2], at=row[3]) for row in rows)

    def _salt(self, cursor: Cursor[Any]) -> str:
        row = cursor.execute("select salt from pseudonym").fetchone()
        return str(row[0]) if row else ""

    def _keep_merge(self, cursor: Cursor[Any], merge: Merge) -> None:
        cursor.execute(
            "insert into patient_merge (retired_key, retired, survivors, survivor_keys) values (%s, %s::jsonb, %s::jsonb, %s)"
            " on conflict (retired_key) do update set survivors = excluded.survivors, survivor_keys = excluded.survivor_keys",
            (naming.of_patient(merge.retired), encode(merge.retired).decode(), encode(merge.survivors).decode(),
             [naming.of_patient(one) for one in merge.survivors]),
        )

    def _keep_cases(self, cursor: Cursor[Any], state: Chart) -> None:
        """First let go of what may move from one case to another, then take hold of it."""
        case_ids = sorted(
            {one.case_id for one in state.orders} | {one.case_id for one in state.studies} | {one.case_id for one in state.cases},
        )
        if len(case_ids) > 1:
            cursor.execute(
                "update case_file set study_uid = null, accession_issuer = null, accession = null where case_id = any(%s)",
                (case_ids,),
            )
        for case_id in case_ids:
            orders, study = state.orders_of(case_id), state.study_of(case_id)
            site = orders[0].site if orders else study.site if study else ""
            case = state.case(case_id, site)
            accession = next((one.accession for one in orders if one.accession), None)
            cursor.execute(
                "insert into case_file (case_id, site, order_revision, signed_at, study_uid, accession_issuer, accession)"
                " values (%s, %s, %s, %s, %s, %s, %s) on conflict (case_id) do update set"
                " order_revision = excluded.order_revision, signed_at = excluded.signed_at,"
                " study_uid = excluded.study_uid, accession_issuer = excluded.accession_issuer, accession = excluded.accession",
                (case_id, case.site, case.order_revision, case.signed_at, study.study_uid if study else None,
                 accession.issuer if accession else None, accession.value if accession else None),
            )


def _keys_of_order(order: OrderFile) -> list[str]:
    found = [naming.of_patient(one) for one in order.person.identities]
    found += [naming.of_number(order.placer, "placer")] if order.placer else []
    found += [naming.of_number(order.filler, "filler")] if order.filler else []
    found += [naming.of_accession(order.accession)] if order.accession else []
    return found + ([naming.of_study(order.study_uid)] if order.study_uid else [])


def _keys_of_study(study: StudyFile) -> list[str]:
    found = [naming.of_study(study.study_uid)]
    found += [naming.of_patient(one) for one in study.person.identities] if study.person else []
    return found + ([naming.of_accession(study.accession)] if study.accession else [])


REPOSITORIES: dict[type, Repository[Any]] = {Chart: Charts()}


class KnownCases:
    """The cases as they are kept, for questions from outside."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def with_accession(self, accession: str, issuer: str) -> tuple[str, ...]:
        """Return the cases of an accession number, by their order or by what their study says; Transient when away."""
        with self._store.connection() as connection:
            rows = connection.execute(
                "select case_id from order_request where accession->>'value' = %(value)s"
                " and (%(issuer)s = '' or accession->>'issuer' = %(issuer)s) and case_id <> ''"
                " union select case_id from imaging_study where accession->>'value' = %(value)s"
                " and (%(issuer)s = '' or accession->>'issuer' = %(issuer)s) order by 1",
                {"value": accession, "issuer": issuer},
            ).fetchall()
        return tuple(row[0] for row in rows)
