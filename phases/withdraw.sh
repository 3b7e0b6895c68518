# The key that led here is good for once, and so is the connection.
mv "$dir/unpack.sh" "$dir/unpack.used" || exit 1
withdraw "$dir" "$ours" || say "the key that this copy came with is still let in"
