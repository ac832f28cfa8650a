"""Reads documents of k3sroot's with the tools and schemas of those who define them.

    check.py KIND FILE [PUBLIC-KEY]

Prints what these find, a line each, and exits with 1 if that is anything. KIND is `spdx`, `cyclonedx`, `provenance` or
`envelope`; the last needs the key of who signed.
"""

import base64
import glob
import json
import os
import sys
import zipfile


def spdx(path):
    from jsonschema import Draft7Validator
    from spdx_tools.spdx.parser.error import SPDXParsingError
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    # The SPDX project publishes its schema on the web alone; this is a package that has it.
    (wheel,) = glob.glob(os.path.join(os.path.dirname(sys.prefix), "scancodeio-*.whl"))
    schema = json.loads(zipfile.ZipFile(wheel).read("scanpipe/pipes/schemas/spdx-schema-2.3.json"))
    assert schema["$id"] == "http://spdx.org/rdf/terms/2.3", schema["$id"]
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    for error in Draft7Validator(schema).iter_errors(document):
        yield f"schema: {error.json_path}: {error.message}"
    try:
        parsed = parse_file(path)
    except SPDXParsingError as error:
        yield from (f"spdx-tools: {message}" for message in error.get_messages())
        return
    for message in validate_full_spdx_document(parsed):
        yield f"spdx-tools: {message.context.spdx_id}: {message.validation_message}"


def cyclonedx(path):
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with open(path, encoding="utf-8") as file:
        text = file.read()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        yield f"schema: {error.data}"
        return
    bom = Bom.from_json(json.loads(text))
    if not bom.validate() or not bom.components:
        yield "cyclonedx-python-lib: it has no components"


def statement(document):
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    try:
        Statement.copy_from_pb(json_format.ParseDict(document, statement_pb2.Statement())).validate()
        predicate = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
    except (ValueError, json_format.ParseError) as error:
        yield f"in-toto-attestation: {error}"
        return
    # What that library leaves to others: the descriptors' digests.
    for dependency in predicate.build_definition.resolved_dependencies:
        if not dependency.digest:
            yield f"{dependency.name} has no digest"


def provenance(path):
    with open(path, encoding="utf-8") as file:
        return list(statement(json.load(file)))


def envelope(path, key):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    with open(path, encoding="utf-8") as file:
        document = json.loads(file.read())
    with open(key, "rb") as file:
        public = load_pem_public_key(file.read())
    named = SSlibKey.from_crypto(public, keyid=document["signatures"][0]["keyid"])
    try:
        Envelope.from_dict(document).verify([named], 1)
    except VerificationError as error:
        yield f"securesystemslib: {error}"
    yield from statement(json.loads(base64.b64decode(document["payload"])))


def main():
    kind, *words = sys.argv[1:]
    findings = list(globals()[kind](*words))
    print("\n".join(findings))
    sys.exit(1 if findings else 0)


main()
