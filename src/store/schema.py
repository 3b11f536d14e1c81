"""Makes a C string of schema.sql: schema.py INPUT OUTPUT."""
import sys

with open(sys.argv[1]) as source, open(sys.argv[2], "w") as out:
    out.write('#include "store/schema.h"\n\nconst char schema_sql[] =\n')
    for line in source:
        text = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
        out.write('    "%s\\n"\n' % text)
    out.write("    ;\n")
