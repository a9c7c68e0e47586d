/* SPDX-License-Identifier: GPL-2.0 */
/* What hen and egg both need. */
#ifndef _FARM_H
#define _FARM_H

int farm_age(void);

#endif /* _FARM_H */
