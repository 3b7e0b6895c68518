# Take away what bundle.sh wrote.
#
# In: BUNDLE.
set -eu
rm -rf "$(dirname "$BUNDLE")"
