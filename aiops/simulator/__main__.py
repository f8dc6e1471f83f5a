import sys

from aiops.simulator.standalone import main

sys.exit(main(sys.argv[1:]))
