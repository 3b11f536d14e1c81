/* A list of texts with a hash table over it (FNV-1a, linear probing, at most half full). */
#include "store/names.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

int64_t names_find(const struct names *s, const char *text)
{
    if (s->table_n == 0)
        return -1;
    for (uint32_t i = hash(text) & (s->table_n - 1); s->table[i]; i = (i + 1) & (s->table_n - 1))
        if (strcmp(s->at[s->table[i] - 1], text) == 0)
            return s->table[i] - 1;
    return -1;
}

static void enter(struct names *s, uint32_t index)
{
    uint32_t i = hash(s->at[index]) & (s->table_n - 1);
    while (s->table[i])
        i = (i + 1) & (s->table_n - 1);
    s->table[i] = index + 1;
}

static bool grow(struct names *s)
{
    uint32_t room = s->room ? s->room * 2 : 64;
    char **at = reallocarray(s->at, room, sizeof(*at));
    if (!at)
        return false;
    s->at = at;
    uint32_t *table = calloc((size_t)room * 2, sizeof(*table));
    if (!table)
        return false;
    free(s->table);
    s->table = table;
    s->table_n = room * 2;
    s->room = room;
    for (uint32_t i = 0; i < s->n; i++)
        enter(s, i);
    return true;
}

bool names_add(struct names *s, const char *text)
{
    if (s->n == s->room && !grow(s))
        return false;
    char *copy = strdup(text);
    if (!copy)
        return false;
    s->at[s->n++] = copy;
    enter(s, s->n - 1);
    return true;
}

const char *names_text(const struct names *s, uint32_t number)
{
    return number >= s->first && number - s->first < s->n ? s->at[number - s->first] : NULL;
}

void names_done(struct names *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->at[i]);
    free(s->at);
    free(s->table);
    *s = (struct names){.first = s->first};
}
