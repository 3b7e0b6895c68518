# The job that changes a target. It lies in the promotion's own folder there
# and runs detached, so that a lost connection neither kills nor doubles it.
#
#   apply.sh apply APP ID            make ID's release live, or put the previous back
#   apply.sh revert APP ID REASON    put the previous back
#   apply.sh guard APP ID            the same, if the apply died
#   apply.sh expire APP ID           the same, once the confirm window is over
#   apply.sh boot APP ID             after a restart: the same, if the restart came
#                                    in the midst; or open the window again
#
# The folder's file job has rows separated by tabs: attempt, epoch, confirm and
# settle (seconds), "live <promotion>" and "was <link> <target>" (as verify saw them;
# empty: none), "link <link> <target>", "unit <name>" in the order of restart,
# and "ledger <JSON members>". The files release and closure have what is true of
# the release itself, as receive.sh wrote them.
#
# What the job leaves there: previous (written once, never again), begun (links
# may be switched, until it is gone; "applied" once they are, and all is well), armed (when the confirm window ends),
# result.json (how the apply ended), revert.json (how a revert did), reverted
# (why it went back), stuck (what it could not put back); each appears whole, by
# rename. It reverts to exactly what previous says and deletes nothing.
set -u
verb=$1 APP=$2 ID=$3 argument=${4-}
