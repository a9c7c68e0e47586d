/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter_adds has for other modules. */
#ifndef _GREETER_ADDS_H
#define _GREETER_ADDS_H

int greeter_add(int a, int b);
long greeter_add_long(long a, long b);

#endif /* _GREETER_ADDS_H */
