"""Metadata of tinygen; tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "tinygen" / "__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "(.+)"$', INIT, re.MULTILINE)[1]

APP = [
    "tqdm>=4.60",
    "matplotlib>=3.8",
    "jinja2>=3.1",
    "scikit-learn>=1.4",
    "pooch>=1.8",
    "tomli-w>=1.0",
]

ONNX = ["onnxruntime>=1.20"]

# compiles CUDA kernels, and takes them apart again, on machines without a card
NVRTC = [
    f"{package}; sys_platform == 'linux' and platform_machine == 'x86_64'"
    for package in (
        "nvidia-cuda-nvrtc==13.0.*",
        "nvidia-cuda-nvdisasm>=13.0",
        "cuda-bindings>=13.0",
    )
]

setup(
    name="tinygen",
    version=VERSION,
    description="Autoencoders and GANs from scratch in NumPy, with kernels that are fast",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["tinygen", "tinygen.*"]),
        *find_packages("kernels", include=["tinygen_kernels", "tinygen_kernels.*"]),
    ],
    package_dir={"tinygen": "tinygen", "tinygen_kernels": "kernels/tinygen_kernels"},
    package_data={
        "tinygen": ["py.typed", "view/templates/*.html"],
        "tinygen_kernels": ["py.typed", "cuda/*.cu", "cuda/*.cuh", "cuda/*.json"],
    },
    install_requires=[
        "numpy>=2.0",
        "numba>=0.61",
        "safetensors>=0.5",
        "pillow>=11.0",
        "threadpoolctl>=3.5",
    ],
    extras_require={
        "app": APP,
        "cuda12": ["cupy-cuda12x[ctk]>=14.2"],
        "cuda13": ["cupy-cuda13x[ctk]>=14.2"],
        "test": [
            *APP,
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "scikit-image>=0.24",
            "prdc>=0.2",
            "onnx>=1.18",
            *ONNX,
            "ruff>=0.15",
            "mypy>=1.15",
            "build>=1.2",
            *NVRTC,
        ],
        "onnx": ONNX,
        "bench": ["torch>=2.6"],
    },
    entry_points={"console_scripts": ["tinygen=tinygen.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
