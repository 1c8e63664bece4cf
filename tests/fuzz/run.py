#!/usr/bin/env python3
"""The long form of the fuzzing: builds the fuzzers, runs each entry from its kept corpus and the vectors, keeps what
reached something new, and says which lines were reached.

    tests/fuzz/run.py [--seconds 1800] [--only ENTRY ...] [--coverage]

Needs nightly Rust and a C++ compiler; `--coverage` needs the component llvm-tools. A crash is left in the working
directory, which is named; `ALDIS_FUZZ_INPUT=ENTRY:HEX cargo test -p aldis-tests --test fuzz_corpora` repeats it.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
PEERS = ["frame", "envelope", "receipt", "hello", "opening", "card", "body", "value", "evidence"]
LOCAL = ["request", "configuration"]
TARGET = "x86_64-unknown-linux-gnu"
# What cargo-fuzz passes: edges counted, comparisons told to the fuzzer, addresses checked.
FLAGS = (
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    " -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
    " -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address --cfg fuzzing"
)
# No input is longer than a frame, and none may make the reader take a gigabyte.
LIMITS = ["-max_len=65540", "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-timeout=10", "-len_control=20"]
# At most so many bytes of new inputs are kept for an entry, the shortest first.
KEPT_BYTES = 80 * 1024


def build(package):
    directory = os.environ.get("CARGO_TARGET_DIR", str(HERE / ".." / ".." / "target")) + "/fuzz"
    environment = dict(os.environ, RUSTFLAGS=FLAGS, CARGO_TARGET_DIR=directory)
    command = ["cargo", "+nightly", "build", "--release", "--target", TARGET, "-p", package]
    subprocess.run(command, cwd=HERE, env=environment, check=True)
    return pathlib.Path(directory) / TARGET / "release" / package


def entry_of(vector):
    kind = vector.split("-")[0]
    wanted = {"header": "envelope", "proof": "envelope", "commitment": "opening"}
    return wanted.get(kind, kind if kind in PEERS else "value")


def seeds(entry):
    """The kept inputs, those that were made and not found, then those that stand elsewhere in the repository."""
    yield from kept(entry)
    yield from kept(f"{entry}-made")
    for vector in sorted((HERE.parent / "vectors").glob("*.txt")):
        if entry_of(vector.stem) == entry:
            text = vector.read_text()
            head, mark, rest = text.partition("\nbytes:\n")
            data = bytes.fromhex("".join(rest.split())) if mark else text.partition("\ntext:\n")[2].encode()
            yield data
            yield from inside(data)
    if entry == "configuration":
        for name in ["config/aldisd.toml", "certs-example/aldisd.toml"]:
            yield (HERE.parent.parent / name).read_bytes()


def inside(data):
    """What stands in front of a signature, if that is what the bytes are."""
    if data[:1] == b"\xfb" and len(data) == 3 + int.from_bytes(data[1:3], "big") + 64:
        yield data[3:-64]
    elif data and data[0] < 0xFB and len(data) == 1 + data[0] + 64:
        yield data[1:-64]


def fill(directory, inputs):
    directory.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        (directory / f"seed{number}").write_bytes(data)


def run(binary, entry, seconds, work):
    """Fuzzes one entry, then keeps the fewest inputs that reach all that was reached."""
    environment = dict(os.environ, ALDIS_FUZZ_TARGET=entry)
    corpus, fewest, vectors = work / entry, work / f"{entry}-fewest", work / f"{entry}-vectors"
    fill(corpus, seeds(entry))
    fewest.mkdir()
    log = (work / f"{entry}.log").open("w")
    fuzz = [str(binary), *LIMITS, f"-max_total_time={seconds}", "-print_final_stats=1", str(corpus)]
    done = subprocess.run(fuzz, cwd=work, env=environment, stderr=log, check=False)
    merge = [str(binary), *LIMITS, "-merge=1", str(fewest), str(corpus)]
    subprocess.run(merge, cwd=work, env=environment, stderr=log, check=True)
    lines, size = [], 0
    known = {data for data in seeds(entry)} - set(kept(entry))
    for data in sorted((path.read_bytes() for path in fewest.iterdir()), key=lambda data: (len(data), data)):
        if data not in known and size + len(data) <= KEPT_BYTES:
            lines.append(data.hex())
            size += len(data)
    if lines:
        CORPUS.mkdir(exist_ok=True)
        (CORPUS / f"{entry}.txt").write_text("".join(f"{line}\n" for line in lines))
    figures = [line for line in (work / f"{entry}.log").read_text().splitlines() if "stat::" in line or "DONE" in line]
    print(f"{entry}: {len(lines)} inputs of {size} bytes kept; " + "; ".join(" ".join(line.split()) for line in figures))
    return done.returncode == 0


def kept(entry):
    path = CORPUS / f"{entry}.txt"
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []


def coverage(work):
    """Which lines of the decoders the kept inputs and the vectors reach, file by file."""
    directory = os.environ.get("CARGO_TARGET_DIR", str(HERE / ".." / ".." / "target")) + "/fuzz-coverage"
    environment = dict(os.environ, RUSTFLAGS="-Cinstrument-coverage --cfg fuzzing", CARGO_TARGET_DIR=directory)
    command = ["cargo", "+nightly", "build", "--target", TARGET, "-p", "fuzz-peers"]
    subprocess.run(command, cwd=HERE, env=environment, check=True)
    binary = pathlib.Path(directory) / TARGET / "debug" / "fuzz-peers"
    for entry in PEERS:
        inputs = work / f"{entry}-counted"
        fill(inputs, seeds(entry))
        profile = str(work / f"{entry}.profraw")
        counted = dict(os.environ, ALDIS_FUZZ_TARGET=entry, LLVM_PROFILE_FILE=profile)
        files = [str(path) for path in sorted(inputs.iterdir())]
        subprocess.run([str(binary), *files], env=counted, stderr=subprocess.DEVNULL, check=True)
    sysroot = subprocess.run(["rustc", "+nightly", "--print", "sysroot"], capture_output=True, text=True, check=True)
    tools = pathlib.Path(sysroot.stdout.strip()) / "lib" / "rustlib" / TARGET / "bin"
    profiles = [str(path) for path in work.glob("*.profraw")]
    merged = str(work / "all.profdata")
    subprocess.run([str(tools / "llvm-profdata"), "merge", "-sparse", *profiles, "-o", merged], check=True)
    sources = [str(HERE.parent.parent / "crates" / crate / "src") for crate in ["aldis-wire", "aldis-verify"]]
    export = [str(tools / "llvm-cov"), "export", "-format=lcov", str(binary), f"-instr-profile={merged}"]
    export += ["--sources", *sources]
    counted = subprocess.run(export, capture_output=True, text=True, check=True).stdout
    for crate in ["aldis-wire", "aldis-verify"]:
        reached, lines, missed = reached_lines(counted, f"/{crate}/src/")
        print(f"{crate}: {reached} of {lines} lines, {100 * reached / lines:.2f} %")
        print("".join(f"  {file}: not {', '.join(map(str, numbers))}\n" for file, numbers in missed.items()), end="")


def reached_lines(lcov, crate):
    """Of a crate's functions that reading enters at all (the rest only write): lines reached, lines, those missed."""
    reached, lines, missed = 0, 0, {}
    for record in lcov.split("end_of_record\n"):
        rows = [row.partition(":")[::2] for row in record.splitlines()]
        file = next((value for key, value in rows if key == "SF"), "")
        if crate not in file:
            continue
        entered = {name for count, name in (v.split(",", 1) for k, v in rows if k == "FNDA") if count != "0"}
        begins = {}
        for line, name in (value.split(",", 1) for key, value in rows if key == "FN"):
            begins[int(line)] = begins.get(int(line), False) or name in entered
        for line, count in (map(int, value.split(",")[:2]) for key, value in rows if key == "DA"):
            before = [begin for begin in begins if begin <= line]
            if before and begins[max(before)]:
                lines, reached = lines + 1, reached + (count > 0)
                if count == 0:
                    missed.setdefault(pathlib.Path(file).name, []).append(line)
    return reached, lines, missed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=1800, help="for all entries together")
    arguments.add_argument("--only", nargs="*", default=PEERS + LOCAL, choices=PEERS + LOCAL)
    arguments.add_argument("--coverage", action="store_true", help="count lines instead of fuzzing")
    given = arguments.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="aldis-fuzz-"))
    print(f"working in {work}")
    if given.coverage:
        return coverage(work)
    failed = []
    for package, entries in [("fuzz-peers", PEERS), ("fuzz-local", LOCAL)]:
        chosen = [entry for entry in entries if entry in given.only]
        binary = build(package) if chosen else None
        failed += [entry for entry in chosen if not run(binary, entry, given.seconds // len(given.only), work)]
    if failed:
        sys.exit(f"found something: {', '.join(failed)}; see {work}")


if __name__ == "__main__":
    main()
