/* SPDX-License-Identifier: GPL-2.0 */
/* What hen and egg want of each other. */
#ifndef _CYCLE_H
#define _CYCLE_H

int hen_age(void);
int egg_age(void);

#endif /* _CYCLE_H */
