/*
 * What people wrote about the API, from the files of description/: tools/embed-description makes
 * the table. Constant. Where "JSON" is said, it is one whole value, to be copied as it is.
 */
#ifndef API_DESCRIBED_H
#define API_DESCRIBED_H

#include <stddef.h>

#define API_DESCRIBED_ERRORS_MAX 8

/* Tables of these end with a NULL name. */
struct api_text {
    const char *name;
    const char *text;
};

struct api_described_operation {
    const char *name; /* "POST /v1/payment_intents/:id" */
    const char *id;
    const char *tag; /* the title of its resource */
    const char *summary;
    const char *text;              /* may be empty */
    const struct api_text *params; /* full name of a parameter, text; may be NULL */
    const char *body;              /* JSON of `content`, of a route with a raw body; or NULL */
    /* Status, JSON of its `content`, of every success and of refusals of another shape than the
     * usual. NULL: 200 with what the route answers. */
    const struct api_text *answers;
    int errors[API_DESCRIBED_ERRORS_MAX]; /* beyond those that its flags tell; 0 ends */
};

struct api_described {
    const struct api_text *info;    /* name of a member, JSON */
    const struct api_text *schemas; /* name, JSON */
    const char *tags;               /* JSON, as are the next four */
    const char *parameters;
    const char *headers;
    const char *responses;
    const char *security_schemes;
    const struct api_text *paths;  /* what is no route of a table: path, JSON */
    const struct api_text *params; /* of parameters that many operations have */
    const struct api_described_operation *operations;
    size_t operation_count;
};

extern const struct api_described api_described;

#endif
