#include "frame.h"

#include "base/assert.h"

#include <string.h>

err_t
network_frame_send(
    struct net_stream *stream,
    const struct iso8583_dialect *dialect,
    const struct iso8583_message *message)
{
    char frame[NETWORK_FRAME];
    struct iso8583_refusal refusal;
    struct buf out;
    ASSERT(stream != NULL);
    buf_init_fixed(&out, frame + ISO8583_FRAME_HEAD, ISO8583_MESSAGE_MAX);
    err_t result = iso8583_encode(dialect, message, &out, &refusal);
    if (result == ERR_OK) {
        iso8583_frame_head(out.size, frame);
        result = net_stream_send(stream, span_of(frame, ISO8583_FRAME_HEAD + out.size));
    }
    explicit_bzero(frame, sizeof(frame));
    return result;
}

err_t
network_frames_read(const struct network_frame_reader *reader, struct span input, size_t *ret_used)
{
    size_t used = 0;
    struct span text;
    err_t result;
    while ((result = iso8583_frame_read(span_slice(input, used, input.size), &text)) == ERR_OK) {
        used += ISO8583_FRAME_HEAD + text.size;
        bool goes_on = reader->take(reader->context, text);
        iso8583_wipe(reader->message);
        if (!goes_on) {
            return ERR_CLOSED;
        }
    }
    if (result == ERR_RANGE) {
        return ERR_RANGE;
    }
    ASSERT(result == ERR_INCOMPLETE);
    *ret_used = used;
    return ERR_OK;
}
