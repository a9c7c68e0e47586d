/* SPDX-License-Identifier: GPL-2.0 */
/* What press has for other modules. */
#ifndef _PRESS_H
#define _PRESS_H

#include <linux/types.h>

/* The next number. May be called from any context. */
u64 press_next(void);

#endif /* _PRESS_H */
