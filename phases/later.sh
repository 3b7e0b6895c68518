# Run a script that comes with the input, once it does.
#
# In: the size of the script in bytes, a line; the script; its input.
set -eu
IFS= read -r size
code=$(head -c "$size" && echo .)
# Of one that broke off nothing is run. The full stop keeps the newlines at its end.
[ "${#code}" -eq $((size + 1)) ] || { echo "the script broke off" >&2 && exit 1; }
eval "${code%.}"
