"""How kernels are compiled: three decorators for functions, and one for tasks that all threads
share."""

from rbmkit import machine

_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}

jit = machine.compiled(**_OPTIONS)
parallel = machine.threaded(**_OPTIONS)

# two flavours that compile faster, for what no Python code calls
inlined = machine.compiled(inline="always", **_OPTIONS)
internal = machine.compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)
