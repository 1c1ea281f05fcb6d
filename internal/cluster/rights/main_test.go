package rights_test

import (
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }
