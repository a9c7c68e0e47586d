/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter_c has for other modules. */
#ifndef _GREETER_C_H
#define _GREETER_C_H

int greeter_c_hello(const char *name);

extern unsigned int greeter_c_greeted;

#endif /* _GREETER_C_H */
