/* Fields of replies, with a default for what is not there. */
#include "cli/get.h"

#include "base/time.h"

const char *get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int64_t get_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

bool get_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

int64_t get_time(const json_t *object, const char *key)
{
    double s = json_number_value(json_object_get(object, key));
    return s > 0 && s < 9e9 ? (int64_t)(s * 1e6) * TIME_US : 0;
}

json_t *get_in(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}
