"""Every CUDA kernel compiles for real cards, within its budget of registers, and spills none."""

import pytest
from tinygen_kernels.cuda.launch import FOLDER

from .nvrtc import ARCHITECTURES, compiled, needs_nvrtc, sources

REGISTERS = 64  # with 256 threads a block leaves room for three more
BUDGETS = {
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
