/* SPDX-License-Identifier: GPL-2.0 */
/* What greeter_own has for other modules. */
#ifndef _GREETER_OWN_H
#define _GREETER_OWN_H

int greeter_own_calls(void);

#endif /* _GREETER_OWN_H */
