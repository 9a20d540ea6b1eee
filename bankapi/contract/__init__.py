"""The contract with the banks: Spyne models, the published WSDL and XSD, and the dispatcher.

Read in this order: `types`, `messages`, `service`, `application`, `publication`. Spyne is imported only here.
"""

from bankapi.contract import compat

compat.lend_six_moves()
