"""What the kernels become on processors that are not at hand: assembly from the same LLVM code.

    python benchmarks/arm.py [--print]

Compiles `kernels.gibbs` for some processors and looks at its loops, the draw of 16 units, making
sums and adding rows: instructions in a turn, and how many of them read or write the stack
(registers that did not suffice: spills). --print also prints the loops. The instructions are
counted, not timed.
"""

import os
import re
import sys
import tempfile
import warnings

TARGETS = {
    "this one": (None, None, None),
    "Apple M1": ("arm64-apple-macosx", "apple-m1", ""),
    "Neoverse N1": ("aarch64-linux-gnu", "neoverse-n1", ""),
    "Neoverse V1": ("aarch64-linux-gnu", "neoverse-v1", ""),
    "Haswell": ("x86_64-linux-gnu", "haswell", ""),
}
CONVERTS = re.compile(r"fcvtzs|vcvttps2dq")  # to integers: in the draw only
ADDS = re.compile(r"fadd\.4s|fadd\s+v\d+\.4s|vaddps")
STACK = re.compile(r"\[sp|\(%rsp\)|\(%rbp\)")


def llvm_code() -> str:
    """The LLVM code of the Gibbs kernel, before it is optimised for this processor."""
    # compiled anew, for cached kernels have no LLVM code
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
    os.environ["NUMBA_OPT"] = "0"
    import numba
    import numpy as np

    warnings.simplefilter("ignore", numba.NumbaWarning)
    from rbmkit import RBM, gibbs, kernels

    gibbs(RBM.random(4, 3, sigma=0.1, rng=0), np.eye(4, dtype=np.uint8), steps=1, rng=0)
    kernel = kernels.gibbs.kernel
    return kernel.inspect_llvm(kernel.signatures[0])


def assembly(code: str, triple: str | None, cpu: str | None, features: str | None) -> str:
    """Assembly of the code for a processor."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = triple or llvm.get_process_triple()
    target = llvm.Target.from_triple(triple)
    machine = target.create_target_machine(
        cpu=cpu or llvm.get_host_cpu_name(), features=features or "", opt=3
    )
    code = re.sub(r"(?m)^target (triple|datalayout).*$", "", code)
    module = llvm.parse_assembly(code)
    module.triple = triple
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


def loops(text: str) -> list[list[str]]:
    """The innermost loops: blocks that end with a jump to their own start."""
    found = []
    for block in re.split(r"(?m)^(?=\.?LBB\w+:)", text):
        label, _, body = block.partition(":")
        lines = [line.strip() for line in body.split("\n") if line.startswith("\t")]
        lines = [line for line in lines if not line.startswith((".", "#", ";", "//"))]
        own_start = re.compile(rf"(?<!\S){re.escape(label)}\b")
        ends = [k for k, line in enumerate(lines) if own_start.search(line)]
        if ends:
            found.append(lines[: ends[-1] + 1])
    return found


def lines_with(what: re.Pattern, loop: list[str]) -> int:
    return sum(bool(what.search(line)) for line in loop)


def report(name: str, text: str, show: bool) -> None:
    """A row for each loop that draws or adds, and the loop itself if `show`; each row once."""
    every = loops(text)
    draw = [loop for loop in every if lines_with(CONVERTS, loop)]
    add = [loop for loop in every if loop not in draw and lines_with(ADDS, loop) >= 4]
    seen = set()
    for what, found in (("draw of 16 units", draw), ("adding rows", add)):
        for loop in found:
            adds = lines_with(ADDS, loop)
            name_of = "making sums" if adds % 11 == 0 else what  # 11 sums of two or more rows
            row = f"| {name} | {name_of} | {len(loop)} | {adds} | {lines_with(STACK, loop)} |"
            if row in seen:
                continue
            seen.add(row)
            print(row)
            if show:
                print("\n".join(loop))


def main() -> None:
    code = llvm_code()
    print("| processor | loop | instructions in a turn | additions of vectors | on the stack |")
    print("|---|---|---|---|---|")
    for name, target in TARGETS.items():
        report(name, assembly(code, *target), "--print" in sys.argv)


if __name__ == "__main__":
    main()
