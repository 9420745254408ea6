/* The state lock guards what a fork must not find in mid-change, and other threads may ask for: the list of reactors, their
 * tables of children, every descriptor that these hold. Held for short stretches without waiting. */
#ifndef AIOSPAWN_STATE_H
#define AIOSPAWN_STATE_H

void state_lock(void);
void state_unlock(void);
/* In the child of a fork. */
void state_reset_lock(void);

#endif
