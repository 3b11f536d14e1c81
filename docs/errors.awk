# Makes fetta-errors(7) from base/codes.def, so that the list is written once.
BEGIN {
    print "fetta-errors(7)\n\n# NAME\n\nfetta-errors - every way a request to fetta can end\n"
    print "# DESCRIPTION\n\nThe name is what the API and libfetta say; it never changes. After it: the status over HTTP, and the exit status of"
    print "a plain verb of *fetta*(1). *run*, *shell*, *attach* and *emulate* exit with 125 instead, except for 75.\n\n# ERRORS\n"
}
match($0, /^CODE\([A-Z_]+, *"[^"]*", *[0-9]+, *[0-9]+, *"[^"]*"\)/) {
    split($0, part, "\"")
    split(part[3], number, ",")
    gsub(/ /, "", number[2])
    gsub(/ /, "", number[3])
    gsub(/_/, "\\_", part[4])
    printf "*%s* (HTTP %s, exit %s)\n\t%s\n\n", part[2], number[2], number[3], part[4]
}
END { print "# SEE ALSO\n\n*fetta*(1), *fettad*(8)" }
