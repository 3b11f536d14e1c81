/* A growing list of places; see mark.h for why values are named by their container. */
#include "text/mark.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

bool marks_add(struct marks *m, const struct mark *mark)
{
    if (m->n == m->room) {
        size_t room = m->room ? m->room * 2 : 64;
        struct mark *at = reallocarray(m->at, room, sizeof(*at));
        if (!at)
            return false;
        m->at = at;
        m->room = room;
    }
    struct mark *added = &m->at[m->n];
    *added = *mark;
    if (mark->key && !(added->key = strdup(mark->key)))
        return false;
    m->n++;
    return true;
}

const struct mark *marks_find(const struct marks *m, const json_t *in, const char *key,
                              size_t index)
{
    for (size_t i = 0; m && i < m->n; i++) {
        const struct mark *at = &m->at[i];
        if (at->in != in || !at->key != !key)
            continue;
        if (key ? strcmp(at->key, key) == 0 : at->index == index)
            return at;
    }
    return NULL;
}

void marks_done(struct marks *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->at[i].key);
    free(m->at);
    *m = (struct marks){0};
}
