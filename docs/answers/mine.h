/* SPDX-License-Identifier: GPL-2.0 */
/* What mine has for other modules. */
#ifndef _MINE_H
#define _MINE_H

int mine_calls(void);

#endif /* _MINE_H */
