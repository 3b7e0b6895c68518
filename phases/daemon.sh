# Speak with the Nix of a build host that copies by itself.
nix-daemon --stdio
