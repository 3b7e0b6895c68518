# Write what a target lacks to standard output, as weave.sh has it.
set -eu
make_work
take_rows
stream
