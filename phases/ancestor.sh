# Answer whether the commit OLD leads to the commit NEW. It changes nothing.
#
# In: REPO OLD NEW. Out: ancestor=yes or no.
set -eu
cd "$REPO"
if git merge-base --is-ancestor "$OLD" "$NEW" 2>/dev/null; then echo ancestor=yes; else echo ancestor=no; fi
