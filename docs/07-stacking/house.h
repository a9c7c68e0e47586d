/* SPDX-License-Identifier: GPL-2.0 */
/* What the modules of the house give each other: how high each of them reaches. */
#ifndef _HOUSE_H
#define _HOUSE_H

int ground_top(void);
int left_wall_top(void);
int right_wall_top(void);

#endif /* _HOUSE_H */
