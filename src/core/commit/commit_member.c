/* The participant's side of the table. */
#include "commit/member.h"

#include "commit_internal.h"

bool
commit_member_move(enum commit_member *member, enum commit_member_event event)
{
    static const struct {
        enum commit_member from;
        enum commit_member_event event;
        enum commit_member to;
    } moves[] = {

#define MOVE_ENTRY(from_, event_, to_)                                                             \
    {COMMIT_MEMBER_##from_, COMMIT_MEMBER_##event_, COMMIT_MEMBER_##to_},
        COMMIT_MEMBER_MOVES(MOVE_ENTRY)
#undef MOVE_ENTRY
    };
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        if (moves[i].from == *member && moves[i].event == event) {
            *member = moves[i].to;
            return true;
        }
    }
    return false;
}
