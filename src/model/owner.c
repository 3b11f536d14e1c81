/* Owners compare as numbers; only the text of a named one has a grammar. */
#include "model/owner.h"

#include <string.h>

enum { PREFIX_MAX = 16, NAME_MAX_CHARS = 100 };

static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char name_chars[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";

bool owner_equal(struct owner a, struct owner b)
{
    return a.kind == b.kind && a.id == b.id;
}

int owner_check_name(const char *text, struct error *err)
{
    size_t prefix = strspn(text, lower);
    if (prefix == 0 || prefix > PREFIX_MAX || text[prefix] != ':')
        return error_set(
            err, ERROR_INVALID,
            "owner \"%.60s\": write PREFIX:NAME with 1 to %d lower-case letters before "
            "the colon, such as kube:team-a",
            text, PREFIX_MAX);
    if (strncmp(text, "uid:", 4) == 0)
        return error_set(
            err, ERROR_INVALID,
            "owner \"%.60s\": \"uid\" stands for users of this machine, take another prefix", text);
    const char *name = text + prefix + 1;
    size_t n = strspn(name, name_chars);
    if (n == 0 || n > NAME_MAX_CHARS || name[n])
        return error_set(err, ERROR_INVALID,
                         "owner \"%.60s\": the name after the colon takes 1 to %d letters, digits, "
                         "'.', '_', '-' or '/'",
                         text, NAME_MAX_CHARS);
    return 0;
}
