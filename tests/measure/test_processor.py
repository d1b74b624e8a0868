"""What tells two devices of one name apart."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dsbench.measure import identity as module
from dsbench.measure.identity import identity

X86_LINUX = platform.system() == "Linux" and platform.machine() == "x86_64"


@pytest.mark.skipif(not X86_LINUX, reason="reads /proc/cpuinfo")
def test_a_processor_is_known_by_family_model_stepping_and_instruction_sets() -> None:
    known = identity("cpu")
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    lines = dict(line.split(":", 1) for line in first.replace("\t", "").replace(": ", ":").splitlines())
    names = {"vendor": "vendor_id", "family": "cpu family", "model": "model", "stepping": "stepping"}
    assert {name: known[name] for name in names} == {name: lines[key] for name, key in names.items()}
    flags = lines["flags"].split()
    sets = {"avx2": "avx2", "avx512_f": "avx512f", "avx512_bf16": "avx512_bf16", "amx_tile": "amx_tile"}
    assert {name for name in sets if name in known["instruction_sets"]} == {
        name for name, flag in sets.items() if flag in flags
    }
    assert known["cores"] == os.cpu_count()
    assert json.loads(json.dumps(known)) == known


@pytest.mark.skipif(not X86_LINUX, reason="oneDNN names x86's instruction sets")
def test_what_torch_and_onednn_use_is_asked_of_them_and_standard_output_stays() -> None:
    code = "import json; from dsbench.measure.identity import identity; print('before'); "
    code += "print(json.dumps(identity('cpu')))"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    before, printed = ended.stdout.splitlines()
    known = json.loads(printed)
    assert (before, known["torch_cpu_capability"], known["onednn_isa"]) == ("before", "AVX2", "Intel AVX2")
    here = identity("cpu")
    assert known | {"torch_cpu_capability": 0, "onednn_isa": 0} == here | {"torch_cpu_capability": 0, "onednn_isa": 0}


def test_where_the_system_tells_nothing_of_the_processor_that_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "processor", dict)
    assert module._processor() == {"vendor": None, "family": None, "model": None, "stepping": None}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_known_by_name_capability_and_driver() -> None:
    known = identity("cuda")
    assert known["name"] == torch.cuda.get_device_name()
    assert known["compute_capability"] == ".".join(map(str, torch.cuda.get_device_capability()))
    assert known["driver"]
