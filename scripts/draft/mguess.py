import sys, pickle, pathlib, time; sys.path.insert(0,'/work/main')
import numpy as np
from scripts.lib import placements
from scripts.lib.placement_cases import Case
from voxgan_jax.inference import completer
from voxgan_jax.placement import place, propose, locator
from voxgan_jax.placement.candidate import Known
from voxgan_jax.scan import formats
model=completer.load(weights_file=pathlib.Path('/work/main/runs/D/generator.safetensors'))
loc=locator.load()
src,out=sys.argv[1:3]
res=[]
for name,step,clay,axis,parts in pickle.load(open(src,'rb')):
    row=[]
    for mesh,matrix,given in parts:
        case=Case(name,'scan',float(given.sum()/clay.sum()),mesh,matrix,clay,given,axis)
        t=time.time()
        try:
            g=propose.guess(mesh,Known(),loc); place.guess=lambda *a,g=g: g
            p=place.place(model,mesh,Known())
            pot=placements.restored(case,formats.in_cube(mesh,p,64).labels>0,p,model)
            iou=placements.overlap(case,pot); err=placements.errors(case,p)
        except ValueError as e: print(e); g=p=iou=err=None
        best=placements.overlap(case,placements.restored(case,given,None,model))
        row.append(dict(guess=g,place=p,iou=iou,best=best,err=err,matrix=matrix,given=given,share=case.share))
        print(name,iou,best,err and {k:(round(float(v),3) if v is not None else None) for k,v in err.items()},round(time.time()-t,1),flush=True)
    res.append((name,step,clay,axis,row))
    pickle.dump(res,open(out,'wb'))
