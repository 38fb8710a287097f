/* How most operations that write go on. */
#include "resource/object.h"

void
resource_answer_saved(
    struct resource_op *op,
    const struct resource_type *type,
    void *document,
    const char *what,
    const char *event)
{
    err_t error = resource_save(op, type, document);
    if (error == ERR_OK && event != NULL) {
        error = resource_emit(op, event, type, document, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, what);
        return;
    }
    resource_answer_object(op, type, document);
}

void
resource_save_then(
    struct resource_op *op,
    const struct resource_type *type,
    void *document,
    const char *what,
    resource_step step)
{
    err_t error = resource_save(op, type, document);
    if (error != ERR_OK) {
        resource_internal(op, error, what);
        return;
    }
    resource_after_commit(op, step);
}
