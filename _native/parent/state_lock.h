/* The state lock guards what a fork must not find in mid-change, and other threads may ask for: the list of reactors, their
 * tables of children, every descriptor that these hold. Held for a short time, without waiting. */
#ifndef AIOSPAWN_PARENT_STATE_LOCK_H
#define AIOSPAWN_PARENT_STATE_LOCK_H

void state_lock(void);
void state_unlock(void);
/* In the child of a fork. */
void state_lock_reset(void);

#endif
