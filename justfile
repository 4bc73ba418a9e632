# Commands by name: `just` lists them. Each is a line that can be typed without just as well.

_list:
    @just --list --unsorted

# What to run before each commit, the first half of CI: under 3 minutes on a warm tree
check:
    .ci/run check

# Everything that this machine and user can run
test:
    cargo test --locked --workspace

# Simulated transfers under faults, each from a printed seed
sim scenarios="1000":
    SEGCAST_SIM_SCENARIOS={{ scenarios }} cargo test --locked -p segcast-tests --test simulation

# One fuzz target, until Ctrl-C; a nightly compiler and cargo-fuzz
fuzz target:
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --sanitizer none {{ target }}

# A measurement, such as `just bench sink --seconds 1`; as root where the network is measured
bench what *arguments:
    cargo run --release -p segcast-bench -- {{ what }} {{ arguments }}

# Pack, serve, fetch and measure on loopback
demo *arguments:
    cargo run --release -- demo {{ arguments }}

# Every document of the code, private items too
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

# Everything that must hold before a merge: as root on Debian
ci:
    .ci/run
