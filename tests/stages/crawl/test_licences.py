"""How a licence is found, and what counts as permissive."""

import pytest

from stages.crawl.licences import Licence, is_permissive, licence_of, licence_of_file, normalise
from stages.crawl.settings import PERMISSIVE
from stages.crawl.sources import installed_distributions

ALLOWED = frozenset(PERMISSIVE)
THREE = b"Redistribution and use in source and binary forms ...\n * Neither the name of\n"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("MPL-2.0 AND MIT", False),
        ("BSD-3-Clause AND (MIT OR GPL-3.0-only)", True),
    ],
)
def test_permissive_means_every_and_and_some_or(expression, expected):
    assert is_permissive(expression, ALLOWED) is expected


def test_normalise_refuses_what_is_not_spdx():
    assert normalise("mit") == "MIT"
    assert normalise("Apache License, Version 2.0") is None
    assert normalise("MIT License") is None
    assert normalise("do what you like") is None
    assert normalise("") is None


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT\nLicense: GPL\n", Licence("MIT", "license-expression")),
        ("License: Apache License, Version 2.0\n", Licence("Apache-2.0", "license-field")),
        ("License: 3-Clause BSD License\n", Licence("BSD-3-Clause", "license-field")),
        ("License: MPL-2.0 AND MIT\n", Licence("MPL-2.0 AND MIT", "license-field")),
        (
            "License: Dual License\nClassifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: Apache Software License\n",
            Licence("Apache-2.0 AND MIT", "classifier"),
        ),
        ("Classifier: License :: OSI Approved :: BSD License\n", None),  # which BSD?
        ("License: see the website\n", None),
        ("", None),
    ],
)
def test_metadata_in_order_of_precision(install, site, metadata, expected):
    install("thing", {"thing.py": b""}, metadata)
    (distribution,) = installed_distributions(search_path=[str(site)])
    assert licence_of(distribution) == expected


def test_a_bsd_classifier_is_settled_by_the_licence_file(install, site):
    install(
        "thing",
        {"thing-1.0.dist-info/LICENSE": THREE},
        "Classifier: License :: OSI Approved :: BSD License\n",
    )
    (distribution,) = installed_distributions(search_path=[str(site)])
    assert licence_of(distribution) == Licence("BSD-3-Clause", "classifier")


def test_a_file_header_overrides_the_distribution():
    default = Licence("MIT", "classifier")
    assert licence_of_file("# SPDX-License-Identifier: GPL-3.0-only\n", default) == Licence(
        "GPL-3.0-only", "file-header"
    )
    assert licence_of_file("# SPDX-License-Identifier: LicenseRef-Secret\n", default) is None
    assert licence_of_file("x = 1\n", default) == default
    assert licence_of_file("x = 1\n", None) is None
