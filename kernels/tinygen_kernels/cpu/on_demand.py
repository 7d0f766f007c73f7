"""Compiling with Numba in two thirds of the time, by leaving out what it does for nothing.

Numba links into a kernel all functions that it calls, and the body of a parallel loop, which it
wraps twice. Before that it makes machine code of each of them, though nobody calls them alone, and
has optimised the body in each of its forms, though all is optimised again in the kernel.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
from collections.abc import Callable
from typing import Any, ClassVar

import llvmlite.binding as llvm
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

FORMS_OF_A_BODY = (  # how Numba calls what it makes, one from the other, of a parallel loop's body
    "__numba_parfor", "<numba.np.ufunc.wrappers._GufuncWrapper", "parallelgufuncwrapper",
)  # fmt: skip

# Numba tells functions of one name and type apart by numbers, in each process from 1 on; but what
# comes from the cache must not be taken for what this process compiles.
_numbers = itertools.count(int.from_bytes(os.urandom(7), "little"))


def in_less_time(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, which compiles or loads a kernel, with its code OnDemand.

    Meanwhile Python does not look for garbage either: that would take another 7 %.
    """

    @functools.wraps(work)
    def wrapped(*arguments: Any) -> Any:
        with global_compiler_lock:
            codegen, collecting = cpu_target.target_context.codegen(), gc.isenabled()
            before = codegen._library_class, FunctionIdentity._unique_ids
            codegen._library_class, FunctionIdentity._unique_ids = OnDemand, _numbers
            gc.disable()
            try:
                return work(*arguments)
            finally:
                codegen._library_class, FunctionIdentity._unique_ids = before
                if collecting:
                    gc.enable()

    return wrapped


class OnDemand(JITCodeLibrary):  # type: ignore[misc]  # Numba is untyped
    """Code that becomes machine code when somebody asks for its address, or it is to be kept.

    Environments, the Python objects that functions refer to, get their place together with it.
    """

    environments: ClassVar[dict[str, Any]] = {}
    # All of them: LLVM keeps their code, and asks for them when it is its turn.
    kept: ClassVar[list[OnDemand]] = []
    _made = False

    @property
    def of_a_loop(self) -> bool:
        """Whether this is a form of the body of a parallel loop, to be optimised in its kernel."""
        called: str = self.name
        return called.startswith(FORMS_OF_A_BODY)

    @property
    def codegen(self) -> OnDemand:
        """What Numba tells environments."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Give an environment its place, now or when there is one."""
        OnDemand.environments[name] = environment
        if self._made:
            self._codegen.set_env(name, environment)

    def get_pointer_to_function(self, name: str) -> int:
        """The address of a function, or 0 if it is not here, or for its kernel alone."""
        if self.of_a_loop:
            return 0
        address: int = super().get_pointer_to_function(name)
        if address and not self._made:
            self._made = True
            for variable in self._final_module.global_variables:
                if variable.name in OnDemand.environments:
                    self._codegen.set_env(variable.name, OnDemand.environments[variable.name])
        return address

    def _optimize_functions(self, module: Any) -> None:
        """Optimise each function by itself."""
        if self.of_a_loop:
            module.data_layout = self._codegen._data_layout
        else:
            super()._optimize_functions(module)

    def _optimize_final_module(self) -> None:
        """Optimise all that is linked together."""
        if not self.of_a_loop:
            super()._optimize_final_module()

    def _finalize_specific(self) -> None:
        """Numba would make the machine code here; we, if it only has to be loaded."""
        OnDemand.kept.append(self)
        self._codegen._scan_and_fix_unresolved_refs(self._final_module)
        if self._object_caching_enabled and self._compiled_object is not None:
            self._codegen._engine.finalize_object()
            self._made = True

    def _get_compiled_object(self) -> bytes:
        """The machine code, for the cache."""
        if self._compiled_object is None:
            own = (f for f in self.get_defined_functions() if f.linkage == llvm.Linkage.external)
            self.get_pointer_to_function(next(own).name)
        machine_code: bytes = super()._get_compiled_object()
        return machine_code
