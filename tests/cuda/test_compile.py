"""Every CUDA kernel compiles for real cards, within its budget of registers, and spills none."""

import re

import pytest
from shim import sources
from tinygen_kernels.cuda import conv, conv_mma
from tinygen_kernels.cuda.launch import FOLDER

from .nvrtc import ARCHITECTURES, assembly, compiled, needs_nvrtc

REGISTERS = 64  # with 256 threads a block leaves room for three more
BUDGETS = {
    "conv_mma.cu": 255,  # 4 or 8 warps a block, each with sums of 64 x 64 or 64 x 32
    "conv_mma_weights.cu": 255,
    "conv_simt.cu": 184,  # 64 sums a thread and what it reads next; doubles take two for each
    "conv_small.cu": 128,
    "rnn.cu": 128,  # weights and sums of a tile
    "rnn_sequence.cu": 128,  # a block of 512 threads that holds a layer's weights
}
STATIC_SHARED = 48 << 10

every_source = pytest.mark.parametrize("source", sources(), ids=lambda s: s.file)
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def test_every_file_is_declared():
    assert {path.name for path in FOLDER.glob("*.cu")} == {source.file for source in sources()}


@needs_nvrtc
@every_architecture
@every_source
def test_kernels_compile_within_their_budgets(source, architecture):
    _, usage = compiled(source, architecture)
    for name, used in usage.items():
        assert used.registers <= BUDGETS.get(source.file, REGISTERS), (name, used)
        assert used.spills == 0, (name, used)
        assert used.shared <= STATIC_SHARED, (name, used)


@needs_nvrtc
@every_architecture
@pytest.mark.parametrize("source", [conv_mma.PIXELS, conv_mma.WEIGHTS], ids=lambda s: s.file)
def test_convolutions_multiply_on_the_tensor_cores(source, architecture, tmp_path):
    """Both kinds of product are in the machine code, fed by copies that nobody waits for."""
    code = assembly(source, architecture, tmp_path)
    for instruction in (r"HMMA\.1688\.F32\.TF32", r"HMMA\.16816\.F32\.BF16", r"LDGSTS\S*\.128"):
        assert re.search(instruction, code), instruction
    assert not re.search(r"\b(LDL|STL)\b", code)  # local memory


@needs_nvrtc
@every_architecture
def test_exact_convolutions_read_four_numbers_at_a_time(architecture, tmp_path):
    code = assembly(conv.PRODUCTS, architecture, tmp_path)
    assert re.search(r"LDG\.E\.128", code)
    assert not re.search(r"HMMA|\bLDL\b|\bSTL\b", code)
