"""How the library is found. Each case in a process of its own, for a process loads it once."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import pytest

import sample_attention
from sample_attention import library


def run(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_the_environment_names_it():
    missing = run("import sample_attention; sample_attention.load()", SAMPLE_ATTENTION_LIBRARY="/nowhere/lib.so")
    assert missing.returncode != 0
    last = missing.stderr.splitlines()[-1]
    assert last.startswith("sample_attention.library.LibraryNotFoundError: /nowhere/lib.so: ") and "make library" in last


def test_another_library_is_refused():
    libc = run("import sample_attention; sample_attention.load()", SAMPLE_ATTENTION_LIBRARY="libc.so.6")
    assert "LibraryNotFoundError: libc.so.6: has no function sample_attention_version" in libc.stderr


def test_nothing_is_loaded_before_it_is_used():
    quiet = run(
        "import sample_attention, sys; assert 'numpy' not in sys.modules and 'torch' not in sys.modules",
        SAMPLE_ATTENTION_LIBRARY="/nowhere/lib.so",
    )
    assert quiet.returncode == 0, quiet.stderr


def test_structs_are_the_headers():
    """Names, order and types of every field, so that no layout can drift."""
    header = pathlib.Path(__file__).parents[2] / "CSampleAttention/include/sample_attention.h"
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    structs = {
        "engine_options": library.EngineOptions,
        "engine_info": library.EngineInfo,
        "config_info": library.ConfigInfo,
        "tensor": library.Tensor,
        "output": library.Tensor,
        "certification": library.Certification,
        "certificate": library.Certificate,
        "call": library.Call,
        "report": library.CallReport,
    }
    pattern = r"typedef struct sample_attention_\w+ \{(.*?)\} sample_attention_(\w+);"
    found = {name: body for body, name in re.findall(pattern, text, flags=re.S)}
    assert set(found) == set(structs)
    sizes = {"int32_t": 4, "int64_t": 8, "uint64_t": 8, "size_t": 8, "double": 8}
    for name, struct in structs.items():
        fields = []
        for declaration in filter(None, (line.strip() for line in found[name].split(";"))):
            kind, names = re.fullmatch(r"((?:const )?\w+)\s+(.*)", declaration, flags=re.S).groups()
            for own in names.split(","):
                own = own.strip()
                array = re.fullmatch(r"(\w+)\[(\d+)\]", own)
                size = int(array[2]) if array else 8 if own.startswith("*") else sizes.get(kind, 40)
                fields.append((array[1] if array else own.lstrip("* "), size))
        assert fields == [(own, getattr(struct, own).size) for own, *_ in struct._fields_], name
    assert f"#define SAMPLE_ATTENTION_ABI_VERSION {library.ABI_VERSION}\n" in text
    functions = set(re.findall(r"\bsample_attention_(\w+)\(", text))
    assert functions == set(library._functions)


def test_the_package_and_the_library_are_of_one_version():
    try:
        installed = importlib.metadata.version("sample-attention")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")
    assert installed == sample_attention.version()
