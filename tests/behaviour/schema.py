"""Validates TOML files against a JSON Schema with PyPI's `jsonschema`.

schema.py SCHEMA FILE...: a line for each file, `FILE: ok`, or `FILE: refused at PLACE`.
"""

import json
import sys
import tomllib

from jsonschema import Draft202012Validator

with open(sys.argv[1], "rb") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for path in sys.argv[2:]:
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        print(f"{path}: no TOML")
        continue
    error = next(validator.iter_errors(document), None)
    print(f"{path}: ok" if error is None else f"{path}: refused at {error.json_path}")
