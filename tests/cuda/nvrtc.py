"""CUDA kernels compiled by NVRTC from pip's wheels, which needs no card."""

import functools
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tinygen_kernels.cuda.launch import OPTIONS, source_text

try:
    import nvidia
    from cuda.bindings import nvrtc
except ImportError:
    nvrtc = None

needs_nvrtc = pytest.mark.skipif(
    nvrtc is None, reason="compiles for cards: pip install nvidia-cuda-nvrtc cuda-bindings"
)
ARCHITECTURES = ("sm_80", "sm_90")


class Usage(NamedTuple):
    """What the assembler reports of a kernel."""

    registers: int
    shared: int  # bytes of static shared memory
    stack: int  # bytes of local memory
    spills: int  # bytes written to it and read from it for want of registers


@functools.cache
def compiled(source, architecture):
    """The machine code of all instances, and {instance: Usage}."""
    text = source_text(source.file).encode()
    program = _checked(nvrtc.nvrtcCreateProgram(text, source.file.encode(), 0, [], []))
    for name in source.instances:
        _checked(nvrtc.nvrtcAddNameExpression(program, name.encode()))
    options = [*OPTIONS, f"-arch={architecture}", "--ptxas-options=-v", "-ftz=true"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])[0]
    log = _text(program, "Log").decode()
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise RuntimeError(f"{source.file} does not compile for {architecture}:\n{log[:4000]}")
    usage = {}
    for name in source.instances:
        lowered = _checked(nvrtc.nvrtcGetLoweredName(program, name.encode())).decode()
        usage[name] = _usage(log, lowered)
    return _text(program, "CUBIN"), usage


def assembly(source, architecture, folder):
    """The SASS of a source as text, by the disassembler of pip's wheel."""
    path = Path(folder) / "kernels.cubin"
    path.write_bytes(compiled(source, architecture)[0])
    found = [p for root in nvidia.__path__ for p in Path(root).rglob("bin/nvdisasm")]
    return subprocess.run([found[0], "-c", path], check=True, capture_output=True, text=True).stdout


def _checked(result):
    assert result[0] == nvrtc.nvrtcResult.NVRTC_SUCCESS, result[0]
    return result[1] if len(result) == 2 else result[1:]


def _text(program, what):
    size = _checked(getattr(nvrtc, f"nvrtcGet{'Program' * (what == 'Log')}{what}Size")(program))
    room = bytearray(size)
    _checked(getattr(nvrtc, f"nvrtcGet{'Program' * (what == 'Log')}{what}")(program, room))
    return bytes(room)


def _usage(log, lowered):
    """The assembler's lines about one kernel."""
    part = log.split(f"Compiling entry function '{lowered}'")[1].split("Compiling entry")[0]
    numbers = [re.search(rf"(\d+) bytes {what}", part) for what in ("smem", "stack frame")]
    shared, stack = (int(m[1]) if m else 0 for m in numbers)
    spills = sum(int(m) for m in re.findall(r"(\d+) bytes spill", part))
    return Usage(int(re.search(r"Used (\d+) registers", part)[1]), shared, stack, spills)
